"""The same model elsewhere: images, and what runs them."""
