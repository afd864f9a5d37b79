"""Audio in and out in blocks, the formats of results, and files that are whole or not there."""
