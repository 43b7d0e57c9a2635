"""The sample pair: rendered people, and the script that renders them."""
