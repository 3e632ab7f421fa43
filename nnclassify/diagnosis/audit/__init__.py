"""What is wrong with the data: one module for each kind of fault."""
