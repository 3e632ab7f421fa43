"""Diagnosis of networks that do not learn: rules, probes, trials and a monitor. Every finding has a page."""
