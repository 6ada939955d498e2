-- name: add
INSERT INTO audit_log (tenant_id, at, actor, role, door, tool, effect, outcome, arguments, subjects, conversation_id)
VALUES (%(tenant)s, %(at)s, %(actor)s, %(role)s, %(door)s, %(tool)s, %(effect)s, %(outcome)s, %(arguments)s,
        %(subjects)s, %(conversation_id)s);
