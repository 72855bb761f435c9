"""What is drawn for each shelf of the sample shop: one small function a thing."""
