"""SageMaker Runtime: endpoints whose containers run the models."""
