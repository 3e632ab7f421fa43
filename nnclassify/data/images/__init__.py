"""Images: folders and lists of them, and what torchvision downloads."""
