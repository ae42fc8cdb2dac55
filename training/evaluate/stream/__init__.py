"""Protocols over continuous audio: false alarms and voice activity."""
