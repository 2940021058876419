package models

import "time"

// AuditAction is what somebody did, as one word of the audit log.
type AuditAction string

// The actions that the audit log knows.
const (
	AuditSignIn         AuditAction = "sign_in"
	AuditSignInFailed   AuditAction = "sign_in_failed"
	AuditSignOut        AuditAction = "sign_out"
	AuditSessionRevoked AuditAction = "session_revoked"

	AuditUserAdded       AuditAction = "user_added"
	AuditUserRole        AuditAction = "user_role"
	AuditUserDisabled    AuditAction = "user_disabled"
	AuditUserEnabled     AuditAction = "user_enabled"
	AuditPassword        AuditAction = "password_changed"
	AuditTwoFactorOn     AuditAction = "two_factor_on"
	AuditTwoFactorOff    AuditAction = "two_factor_off"
	AuditRecoveryUsed    AuditAction = "recovery_code_used"
	AuditRecoveryRenewed AuditAction = "recovery_codes_renewed"

	AuditKeyMade    AuditAction = "key_made"
	AuditKeyRevoked AuditAction = "key_revoked"
	AuditToken      AuditAction = "token_issued"

	AuditAck         AuditAction = "acknowledged"
	AuditUnack       AuditAction = "acknowledgement_undone"
	AuditAlertRetry  AuditAction = "alert_retried"
	AuditAlertCancel AuditAction = "alerts_cancelled"
	AuditCanary      AuditAction = "canary_sent"
	AuditSamples     AuditAction = "samples_stored"
	AuditImport      AuditAction = "import_started"
	AuditExport      AuditAction = "exported"
)

// AuditActions are all that the audit log knows, in the order of its lists.
func AuditActions() []AuditAction {
	return []AuditAction{
		AuditSignIn, AuditSignInFailed, AuditSignOut, AuditSessionRevoked,
		AuditUserAdded, AuditUserRole, AuditUserDisabled, AuditUserEnabled, AuditPassword,
		AuditTwoFactorOn, AuditTwoFactorOff, AuditRecoveryUsed, AuditRecoveryRenewed,
		AuditKeyMade, AuditKeyRevoked, AuditToken,
		AuditAck, AuditUnack, AuditAlertRetry, AuditAlertCancel, AuditCanary, AuditSamples, AuditImport, AuditExport,
	}
}

// AuditEntry is one line of the audit log: who did what, when, from where, to
// what. It is never changed once it is written.
type AuditEntry struct {
	ID      int64
	At      time.Time // UTC
	Kind    ActorKind
	Actor   string // a name; as it was typed for a failed sign-in
	Address string // IP address; "" for a command on this machine
	Action  AuditAction
	Object  string // what it was done to, such as "alert 42" or "user ana"; "" where the action says it
	Detail  string
}

// AuditFilter selects entries of the audit log.
type AuditFilter struct {
	Before int64 // only entries with smaller ids; 0 for the newest
	Limit  int
	Actor  string
	Action AuditAction
}
