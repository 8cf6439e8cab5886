-- What Ark reads of the tenants' database: two views, and nothing else. Map your own tables and columns here, then run
-- this file once in that database (MySQL 5.7 or later, MariaDB 10.2 or later). `ark tenants sync` only selects.
--
-- A user who may do no more than that:
--     GRANT SELECT ON eton.ark_tenants TO 'ark'@'%';
--     GRANT SELECT ON eton.ark_agents TO 'ark'@'%';
-- and in the environment of Ark:
--     ARK_TENANT_URL=mysql+pymysql://ark:PASSWORD@HOST/eton
--
-- Which of the values below count is told in conf/tenants.toml.
--
-- Known of the tables: tenant.status, and agents.agent_id_from_platform, platform_id, auth_status, auth_type. ASSUMED, to be
-- corrected where yours differ: the columns tenant.id, tenant.tenant_alias, agents.tenant_id, and that no column tells
-- the generation of an agent.

-- One row per tenant.
--   tenant_alias   the tenant as in Redis keys and tables, T100117: letters, digits, '_' and '-'
--   status         a whole number; 1: the tenant is served
CREATE OR REPLACE VIEW ark_tenants AS
SELECT
    tenant.tenant_alias AS tenant_alias,
    tenant.status       AS status
FROM tenant;

-- One row per tenant, platform and agent.
--   tenant_alias             as above
--   platform_id              1 gdt, 3 jrtt, 8 wx; rows of other platforms belong into the WHERE below
--   agent_id_from_platform   the agent's id at the medium: digits, less than 2^53
--   auth_status              1 or 2: the agent has authorised us
--   auth_type                1: as an agent
--   agent_level              parent: first generation; child: second generation (jrtt only); NULL: parent
CREATE OR REPLACE VIEW ark_agents AS
SELECT
    tenant.tenant_alias           AS tenant_alias,
    agents.platform_id            AS platform_id,
    agents.agent_id_from_platform AS agent_id_from_platform,
    agents.auth_status            AS auth_status,
    agents.auth_type              AS auth_type,
    CAST(NULL AS CHAR(6))         AS agent_level
FROM agents
JOIN tenant ON tenant.id = agents.tenant_id
WHERE agents.platform_id IN (1, 3, 8);
