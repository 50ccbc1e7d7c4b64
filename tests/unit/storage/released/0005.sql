BEGIN TRANSACTION;
CREATE TABLE address_lists (
	id INTEGER NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	description TEXT NOT NULL, 
	network TEXT NOT NULL, 
	action TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "address_lists" VALUES(1,1,'','198.51.100.0/24','accept');
CREATE TABLE analyze_called_numbers (
	id INTEGER NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	description TEXT NOT NULL, 
	prefix TEXT NOT NULL, 
	route_type TEXT NOT NULL, 
	target_id INTEGER NOT NULL, 
	transition_id INTEGER NOT NULL, 
	call_level INTEGER NOT NULL, call_level_outside_hours INTEGER DEFAULT '0' NOT NULL, counts_as_external BOOLEAN DEFAULT '1' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "analyze_called_numbers" VALUES(1,1,'','13','sip_trunk',1,0,0,0,1);
CREATE TABLE analyze_caller_numbers (
	id INTEGER NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	description TEXT NOT NULL, 
	prefix TEXT NOT NULL, 
	transition_id INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "analyze_caller_numbers" VALUES(1,1,'','0',1);
CREATE TABLE call_records (
	id TEXT NOT NULL, 
	node TEXT NOT NULL, 
	started DOUBLE NOT NULL, 
	answered DOUBLE, 
	ended DOUBLE, 
	caller_number TEXT NOT NULL, 
	called_number TEXT NOT NULL, 
	sent_number TEXT NOT NULL, 
	source TEXT NOT NULL, 
	target TEXT NOT NULL, 
	status INTEGER NOT NULL, 
	end_cause TEXT NOT NULL, 
	ended_by TEXT NOT NULL, 
	talk_seconds DOUBLE NOT NULL, 
	trail TEXT NOT NULL, 
	attempts TEXT NOT NULL, 
	media TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "call_records" VALUES('call-1','released',1700000000.0,1700000001.0,1700000010.0,'100','135550','135550','user:100','trunk:1',200,'normal','caller',9.0,'["called number: 13"]','[["trunk:1","135550",1700000000.0,200,"200 OK"]]','[]');
CREATE TABLE external_lines (
	id INTEGER NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	description TEXT NOT NULL, 
	server_address TEXT NOT NULL, 
	server_port INTEGER NOT NULL, 
	transport TEXT NOT NULL, 
	tls_verify BOOLEAN NOT NULL, 
	unified_caller_number TEXT NOT NULL, 
	request_uri_parameters TEXT NOT NULL, 
	outgoing_group_id INTEGER NOT NULL, 
	max_outgoing_calls INTEGER NOT NULL, 
	next_trunk_id INTEGER NOT NULL, 
	relay_media TEXT NOT NULL, 
	tel_uri BOOLEAN NOT NULL, 
	caller_id_headers TEXT NOT NULL, 
	failover_statuses TEXT NOT NULL, 
	failover_after_ringing BOOLEAN NOT NULL, 
	first_response_timeout INTEGER NOT NULL, 
	no_answer_timeout INTEGER NOT NULL, 
	max_calls_per_second INTEGER NOT NULL, 
	codecs TEXT NOT NULL, 
	max_incoming_calls INTEGER NOT NULL, 
	account TEXT NOT NULL, 
	password TEXT NOT NULL, 
	authorization_id TEXT NOT NULL, 
	domain TEXT NOT NULL, 
	register_expires INTEGER NOT NULL, 
	local_user TEXT NOT NULL, 
	shared BOOLEAN NOT NULL, early_media TEXT DEFAULT 'pass' NOT NULL, follow_redirects BOOLEAN DEFAULT '0' NOT NULL, max_external_calls_per_hour INTEGER DEFAULT '0' NOT NULL, max_external_minutes_per_day INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "external_lines" VALUES(1,1,'','sip.example.com',5060,'udp',1,'','',0,30,2,'no',0,'[]','[408,500,501,502,503,504,513,580]',0,5,0,0,'[]',30,'49301','secret','','',300,'',1,'pass',0,0,0);
CREATE TABLE local_users (
	id INTEGER NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	description TEXT NOT NULL, 
	number TEXT NOT NULL, 
	password TEXT NOT NULL, 
	display_name TEXT NOT NULL, 
	max_calls INTEGER NOT NULL, 
	max_outgoing_calls INTEGER NOT NULL, 
	call_levels TEXT NOT NULL, 
	trusted_address TEXT NOT NULL, 
	relay_media TEXT NOT NULL, 
	external_line_id INTEGER NOT NULL, max_external_calls_per_hour INTEGER DEFAULT '0' NOT NULL, max_external_minutes_per_day INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "local_users" VALUES(1,1,'','100','geheim','',0,0,'[1,2]','','no',0,0,0);
INSERT INTO "local_users" VALUES(2,1,'','200','','',0,0,'[]','','no',0,0,0);
CREATE TABLE meta (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('configuration_version','2');
CREATE TABLE number_lists (
	id INTEGER NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	description TEXT NOT NULL, 
	caller_prefix TEXT NOT NULL, 
	called_prefix TEXT NOT NULL, 
	block_percent INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "number_lists" VALUES(1,1,'','101','*',100);
CREATE TABLE number_transitions (
	id INTEGER NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	description TEXT NOT NULL, 
	type TEXT NOT NULL, 
	start INTEGER NOT NULL, 
	length INTEGER NOT NULL, 
	digits TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "number_transitions" VALUES(1,1,'','replace',0,1,'0086');
CREATE TABLE refine_called_numbers (
	id INTEGER NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	description TEXT NOT NULL, 
	outgoing_group_id INTEGER NOT NULL, 
	prefix TEXT NOT NULL, 
	transition_id INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "refine_called_numbers" VALUES(1,1,'',1,'0',1);
CREATE TABLE refine_caller_numbers (
	id INTEGER NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	description TEXT NOT NULL, 
	outgoing_group_id INTEGER NOT NULL, 
	prefix TEXT NOT NULL, 
	transition_id INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "refine_caller_numbers" VALUES(1,1,'',1,'',0);
CREATE TABLE registrations (
	node TEXT NOT NULL, 
	number TEXT NOT NULL, 
	contact TEXT NOT NULL, 
	remote_host TEXT NOT NULL, 
	remote_port INTEGER NOT NULL, 
	local_host TEXT NOT NULL, 
	local_port INTEGER NOT NULL, 
	call_id TEXT NOT NULL, 
	sequence INTEGER NOT NULL, 
	expires DOUBLE NOT NULL, 
	user_agent TEXT NOT NULL, 
	password_mark TEXT NOT NULL, 
	PRIMARY KEY (node, number, contact, remote_host)
);
CREATE TABLE routing_groups (
	id INTEGER NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	description TEXT NOT NULL, 
	name TEXT NOT NULL, 
	strategy TEXT NOT NULL, 
	members TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "routing_groups" VALUES(1,1,'','Out','priority','[{"route_type":"sip_trunk","target_id":1,"priority":1,"weight":3}]');
CREATE TABLE sip_trunks (
	id INTEGER NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	description TEXT NOT NULL, 
	server_address TEXT NOT NULL, 
	server_port INTEGER NOT NULL, 
	transport TEXT NOT NULL, 
	tls_verify BOOLEAN NOT NULL, 
	unified_caller_number TEXT NOT NULL, 
	request_uri_parameters TEXT NOT NULL, 
	outgoing_group_id INTEGER NOT NULL, 
	max_outgoing_calls INTEGER NOT NULL, 
	next_trunk_id INTEGER NOT NULL, 
	relay_media TEXT NOT NULL, 
	tel_uri BOOLEAN NOT NULL, 
	caller_id_headers TEXT NOT NULL, 
	failover_statuses TEXT NOT NULL, 
	failover_after_ringing BOOLEAN NOT NULL, 
	first_response_timeout INTEGER NOT NULL, 
	no_answer_timeout INTEGER NOT NULL, 
	max_calls_per_second INTEGER NOT NULL, 
	codecs TEXT NOT NULL, 
	max_incoming_calls INTEGER NOT NULL, 
	trusted_networks TEXT NOT NULL, 
	options_interval INTEGER NOT NULL, early_media TEXT DEFAULT 'pass' NOT NULL, follow_redirects BOOLEAN DEFAULT '0' NOT NULL, max_external_calls_per_hour INTEGER DEFAULT '0' NOT NULL, max_external_minutes_per_day INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "sip_trunks" VALUES(1,1,'','192.0.2.8',5060,'udp',1,'','',0,30,0,'yes',0,'[]','[408,500,501,502,503,504,513,580]',0,5,0,0,'[]',30,'[]',0,'pass',0,0,0);
INSERT INTO "sip_trunks" VALUES(2,1,'','2001:db8::8',5060,'udp',1,'','',0,30,0,'no',0,'[]','[408,500,501,502,503,504,513,580]',0,5,0,0,'[]',30,'[]',0,'pass',0,0,0);
CREATE TABLE system (
	id INTEGER NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	description TEXT NOT NULL, 
	sip_address TEXT NOT NULL, 
	sip_udp_port INTEGER NOT NULL, 
	sip_tcp_port INTEGER NOT NULL, 
	sip_tls_port INTEGER NOT NULL, 
	domain TEXT NOT NULL, 
	external_signalling_address TEXT NOT NULL, 
	external_media_address TEXT NOT NULL, 
	local_networks TEXT NOT NULL, 
	tls_certificate TEXT NOT NULL, 
	tls_private_key TEXT NOT NULL, 
	media_port_first INTEGER NOT NULL, 
	media_port_last INTEGER NOT NULL, 
	media_processes INTEGER NOT NULL, 
	media_timeout INTEGER NOT NULL, 
	outgroup_prefix TEXT NOT NULL, 
	default_route_type TEXT NOT NULL, 
	default_target_id INTEGER NOT NULL, 
	untrusted_calls TEXT NOT NULL, 
	session_expires INTEGER NOT NULL, 
	no_answer_timeout INTEGER NOT NULL, 
	max_call_seconds INTEGER NOT NULL, 
	max_calls INTEGER NOT NULL, 
	max_calls_per_second INTEGER NOT NULL, 
	register_expires_minimum INTEGER NOT NULL, 
	register_expires_maximum INTEGER NOT NULL, 
	ban_failures INTEGER NOT NULL, 
	ban_seconds INTEGER NOT NULL, 
	max_messages_per_second INTEGER NOT NULL, 
	call_record_days INTEGER NOT NULL, alarm_webhook TEXT DEFAULT '' NOT NULL, alarm_mail_to TEXT DEFAULT '[]' NOT NULL, alarm_mail_from TEXT DEFAULT '' NOT NULL, mail_server TEXT DEFAULT '' NOT NULL, mail_port INTEGER DEFAULT '587' NOT NULL, mail_security TEXT DEFAULT 'starttls' NOT NULL, mail_user TEXT DEFAULT '' NOT NULL, mail_password TEXT DEFAULT '' NOT NULL, audio_first TEXT DEFAULT 'window' NOT NULL, business_hours TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "system" VALUES(1,1,'','192.0.2.1',5060,5060,5061,'example.com','','','["10.0.0.0/8"]','','',20000,29999,1,60,'9','local_user',0,'reject',1800,120,0,10000,0,30,3600,10,3600,200,365,'','[]','','',587,'starttls','','','window','');
CREATE TABLE trunkline_schema (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT trunkline_schema_pkc PRIMARY KEY (version_num)
);
INSERT INTO "trunkline_schema" VALUES('0005');
CREATE INDEX ix_call_records_in_progress ON call_records (node) WHERE ended IS NULL;
CREATE INDEX ix_call_records_started ON call_records (started, id);
COMMIT;
