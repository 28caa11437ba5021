"""Are two runtimes alike? Is one model better than another?"""
