"""Tables: CSV and Parquet files, data frames, and the features that become of their columns."""
