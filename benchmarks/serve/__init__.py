"""What `nnclassify serve` bears: latency, throughput, memory, hostile uploads, killed workers."""
