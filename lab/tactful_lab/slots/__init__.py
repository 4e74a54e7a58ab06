"""The slot-propensity task: on which day and in which two-hour slot does a household start a basket?"""
