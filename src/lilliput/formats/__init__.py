"""Storage formats of numbers, and their codes: what quantizers write and graphs read."""
