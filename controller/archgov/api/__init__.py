"""What was asked: objects of the API to values of the model, both ways."""
