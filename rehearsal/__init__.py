"""`make rehearse`: the story of `make launch` on a real account, for the person who has one."""
