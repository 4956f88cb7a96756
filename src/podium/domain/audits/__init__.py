"""What `podium doctor` and `podium env audit` make of what they see."""
