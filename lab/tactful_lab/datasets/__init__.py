"""Real data for rehearsals. Every adapter says what it dropped, how large the download is and on whose terms."""
