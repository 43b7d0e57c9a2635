"""The person's model: training and rendering."""
