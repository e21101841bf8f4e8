"""What the function DailyCheck does: compare a day of the archive with Hyperline."""
