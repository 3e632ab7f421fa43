"""Why a net does not learn: rules, probes, trials and a monitor, each with a page of its own."""
