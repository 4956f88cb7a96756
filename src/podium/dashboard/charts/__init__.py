"""Pictures as SVG, drawn by the server: one kind a file, pure, every text escaped."""
