"""What a model is told: instructions and questions as files, the context fenced as data between them."""
