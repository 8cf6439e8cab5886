from pathlib import Path

from ark.settings import load
from handlers.doctor import CHECKS, examine


def test_the_real_services_are_well(services, tmp_path: Path):
    settings = load(
        {
            "ARK_HOME": str(tmp_path),
            "ARK_REDIS_URL": services.redis_url,
            "ARK_HBASE_URL": services.hbase_url,
            "ARK_KAFKA_URL": services.kafka_url,
            "ARK_SENTRY_DSN": services.sentry_dsn,
            "ARK_LEDGER_URL": services.mariadb_url,
            "ARK_TENANT_URL": services.mariadb_url,
        }
    )
    real = ("redis", "hbase", "kafka", "sentry", "ledger", "tenant")
    assert [finding for finding in examine(settings, {name: CHECKS[name] for name in real}) if not finding.ok] == []
