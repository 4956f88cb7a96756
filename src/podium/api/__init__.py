"""What people import; composes the rooms below."""
