-- The two roles of a database: NAME_migrator owns the schema and changes it, NAME_runtime reads and writes rows and can do
-- nothing else, where NAME is the database's. PostgreSQL 15 or newer; run it once as the role that owns the database, and
-- again whenever you like:
--   psql postgresql://ADMIN@HOST/NAME -f deploy/database-roles.sql
-- Neither role can sign in until it has a password, which is asked for by psql's \password NAME_migrator or by
--   gcloud sql users set-password NAME_migrator --instance=INSTANCE --prompt-for-password
BEGIN;
DO $$
DECLARE
  migrator text := current_database() || '_migrator';
  runtime text := current_database() || '_runtime';
  name text;
BEGIN
  -- Other databases of this server have roles of their own, which have no business here.
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  REVOKE ALL ON SCHEMA public FROM PUBLIC;
  FOREACH name IN ARRAY ARRAY[migrator, runtime] LOOP
    IF to_regrole(quote_ident(name)) IS NULL THEN
      EXECUTE format('CREATE ROLE %I LOGIN', name);
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name);
  END LOOP;

  -- Cloud SQL's administrator is no superuser: it may set what belongs to a role only as a member of that role.
  EXECUTE format('GRANT %I TO CURRENT_USER', migrator);
  -- Needed by the owner of a schema, and for extensions such as pg_trgm.
  EXECUTE format('GRANT CREATE ON DATABASE %I TO %I', current_database(), migrator);
  EXECUTE format('ALTER SCHEMA public OWNER TO %I', migrator);

  EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', runtime);
  -- What is there, and what later migrations make.
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %I', runtime);
  EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO %I', runtime);
  EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', migrator, runtime);
  EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT USAGE ON SEQUENCES TO %I', migrator, runtime);
END
$$;
COMMIT;
