"""What an administrator asks in the morning: what runs, what the last run came to, what failed, what comes next."""
