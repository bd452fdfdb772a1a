package outlast

// #include "shim.h"
import "C"

// ServiceOptions names a service's credential that takes over from a session which does not last: that of an OCI profile, or a
// session of the sessions file.
type ServiceOptions struct {
	// Profile of the configuration file, for example one with an API key.
	Profile string
	// ConfigFile: --config-file; "": ~/.oci/config.
	ConfigFile string
	// CLIRCFile: --cli-rc-file; "": $OCI_CLI_RC_FILE, else ~/.oci/oci_cli_rc.
	CLIRCFile string
	// Passphrase of the profile's private key, when the profile has none.
	Passphrase string
	// Name of a session of the sessions file, instead of a profile.
	Name string
	// SessionsFile: --sessions-file; "": $OUTLAST_SESSIONS, else ~/.config/outlast/sessions.conf.
	SessionsFile string
	// Principal is on whose behalf the service acts, for the record. Needed.
	Principal string
	// AuditFile is the record: a line of JSON is appended and made durable before the service acts. Needed.
	AuditFile string
}

// Service names a service's credential that takes over when an upload would outlive the session, or it has ended;
// [EventHandedOver] tells it. There is no way back.
//
// Errors: [ErrInvalid] (options; the session has a service already), [ErrConfig] (files of the service), [ErrState] (the record
// cannot be written), [ErrCancelled] (closed).
func (s *Session) Service(options ServiceOptions) error {
	fields := newFields()
	defer fields.free()
	raw := structOf[C.outlast_service_options](fields)
	raw.size = C.sizeof_outlast_service_options
	raw.name = fields.text(options.Name)
	raw.sessions_file = fields.text(options.SessionsFile)
	raw.principal = fields.text(options.Principal)
	raw.audit_file = fields.text(options.AuditFile)
	if options.Profile != "" {
		profile := structOf[C.outlast_oci_options](fields)
		profile.size = C.sizeof_outlast_oci_options
		profile.profile = fields.text(options.Profile)
		profile.config_file = fields.text(options.ConfigFile)
		profile.cli_rc_file = fields.text(options.CLIRCFile)
		profile.passphrase = fields.text(options.Passphrase)
		profile.read_only = 1
		raw.profile = profile
	} else if options.ConfigFile+options.CLIRCFile+options.Passphrase != "" {
		fields.fail("ConfigFile, CLIRCFile or Passphrase", "is given without Profile")
	}
	if err := fields.failed(); err != nil {
		return err
	}
	return s.do(func(handle *C.outlast_session, slot **C.outlast_error) C.outlast_status {
		return C.outlast_session_service(handle, raw, slot)
	})
}
