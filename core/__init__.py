"""DemoLens without a screen: data, prompts, models, analyses and the queue that runs them."""
