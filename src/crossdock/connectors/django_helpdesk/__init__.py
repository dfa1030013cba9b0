"""django-helpdesk as service desk: cases become tickets, and what becomes of them comes back."""
