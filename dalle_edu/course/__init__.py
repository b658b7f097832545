"""A course made from the book: assignments that a grader can mark, slides, handouts (the teacher's guide).

Nothing is written twice: exercises are read out of the chapters, answers out of `book/solutions`.
"""
