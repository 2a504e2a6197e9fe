"""A third service, as `components/web.py` would be it (CONTRIBUTING.md, "Add a service")."""

from __future__ import annotations

import pulumi

from components.password import Password
from components.service_spec import HealthCheck, Limits, Port, ServiceSpec, UpdatePolicy
from components.services import ServiceArgs, declare

SERVICE = "web"


def spec(image: str) -> ServiceSpec:
    """The service, as far as it is known before the run."""
    return ServiceSpec(
        name=SERVICE,
        image=image,
        replicas=2,
        env={"DATABASE_HOST": "galera", "DATABASE_NAME": "app"},
        secrets=["web-session-key"],
        volumes={"web-uploads": "/var/www/uploads"},
        ports=[Port(80, target=8080, mode="ingress")],
        health=HealthCheck(["curl", "-fsS", "http://127.0.0.1:8080/health check"], start_period=60),
        update=UpdatePolicy(proven=10, order="start-first", failure_action="rollback"),
        stop_grace=90,
        limits=Limits(cpus=0.5, memory=256),
    )


class Web(pulumi.ComponentResource):
    """The application, once all tasks run. vip: the service's virtual IP."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:web:Web", name, None, opts)
        key = Password(f"{name}-session-password", opts=pulumi.ResourceOptions(parent=self)).value
        running = declare(name, args, self, {"web-session-key": key}, {"OWNER": pulumi.get_stack()})
        self.vip = running.stdout
        self.register_outputs({"vip": self.vip})
