"""What podium tells the outside about itself: metrics, logs."""
