class PlanError(Exception): ...


async def explain(*a, **k):
    raise PlanError("x")
