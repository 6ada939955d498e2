"""One script a claim: ours, the peer and the physical limit, interleaved in one run, medians of at least five."""
