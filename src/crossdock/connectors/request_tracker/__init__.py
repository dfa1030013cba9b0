"""Request Tracker 5 as service desk: cases become tickets, and what becomes of them comes back."""
