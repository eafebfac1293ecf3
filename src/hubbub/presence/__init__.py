"""Who is online, away or offline: derived by the server, per user, from sockets and activity."""
