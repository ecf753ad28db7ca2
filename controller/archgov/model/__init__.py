"""What is: frozen values with exact units, known to every layer."""
