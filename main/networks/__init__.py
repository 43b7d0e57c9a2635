"""The person's model: label maps, stacked-hourglass generator, multi-scale discriminator, perceptual features."""
