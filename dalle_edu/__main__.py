"""`python -m dalle_edu` is `dalle-edu`: so torchrun can start it."""

from dalle_edu.cli import main

if __name__ == "__main__":
    main()
