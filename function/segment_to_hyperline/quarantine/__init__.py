"""Find out why events wait in Quarantine, edit them, and move them to Replay."""
