"""From a folder of images, a table or an .npz file to a config: what the data hold, and what suits them."""
