"""A campaign dialer daemon for the Calldock voice API."""
