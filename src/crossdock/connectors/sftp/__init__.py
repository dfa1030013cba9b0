"""Files on a partner's SFTP server."""
