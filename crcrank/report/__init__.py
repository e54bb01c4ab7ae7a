"""Pictures and pages that people read."""
