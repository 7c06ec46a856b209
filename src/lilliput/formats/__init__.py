"""How numbers are stored, as data, and the codes that stand for them: what quantizers write and graphs read."""
