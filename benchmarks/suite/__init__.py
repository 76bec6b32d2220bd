"""The tasks that engines are compared on: studies, data, figures of others, and how one is measured."""
