"""Training of the bundled pose networks."""
