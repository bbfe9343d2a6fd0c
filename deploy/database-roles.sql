-- Creates the roles of the database NAME: NAME_migrator owns and changes the schema, NAME_runtime only reads and writes rows.
-- NAME_runtime_2 has the rights of NAME_runtime: the two take turns when the password is rotated.
-- Needs PostgreSQL 15 or newer. Idempotent: run it as the role that owns the database.
--   psql postgresql://ADMIN@HOST/NAME -f deploy/database-roles.sql
-- A role can sign in once it has a password. Set it with psql's \password NAME_migrator, or with
--   gcloud sql users set-password NAME_migrator --instance=INSTANCE --prompt-for-password
BEGIN;
DO $$
DECLARE
  migrator text := current_database() || '_migrator';
  runtime text := current_database() || '_runtime';
  runtime_2 text := current_database() || '_runtime_2';
  name text;
BEGIN
  -- Denies access to the roles of other databases on this server.
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  REVOKE ALL ON SCHEMA public FROM PUBLIC;
  FOREACH name IN ARRAY ARRAY[migrator, runtime, runtime_2] LOOP
    IF to_regrole(quote_ident(name)) IS NULL THEN
      EXECUTE format('CREATE ROLE %I LOGIN', name);
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name);
  END LOOP;

  -- Cloud SQL's administrator is not a superuser: it must be a member of a role to change the role's objects.
  EXECUTE format('GRANT %I TO CURRENT_USER', migrator);
  -- The owner of a schema needs it, and extensions such as pg_trgm.
  EXECUTE format('GRANT CREATE ON DATABASE %I TO %I', current_database(), migrator);
  EXECUTE format('ALTER SCHEMA public OWNER TO %I', migrator);

  EXECUTE format('GRANT %I TO %I', runtime, runtime_2);
  EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', runtime);
  -- Existing tables and those of later migrations.
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %I', runtime);
  EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO %I', runtime);
  EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', migrator, runtime);
  EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT USAGE ON SEQUENCES TO %I', migrator, runtime);

  -- The service sends these timeouts when it connects. A connection pooler does not pass them on.
  EXECUTE format('ALTER ROLE %I SET statement_timeout = %L', runtime, '5s');
  EXECUTE format('ALTER ROLE %I SET lock_timeout = %L', runtime, '2500ms');
  EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', runtime, '10s');
END
$$;
COMMIT;
