"""``python -m trajectile.scripts.maintain.tour``: write docs/tour.md and its pictures anew."""

from trajectile.scripts.maintain.tour.page import main

if __name__ == "__main__":
    main()
